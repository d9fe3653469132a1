-- "quotes", back\slash, ä, tab	
return 1
